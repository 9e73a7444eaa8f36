"""What gradexplain says, a file a language."""
