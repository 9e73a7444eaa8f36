"""gradexplain."""
