"""The computation graph: what is drawn, where it goes, and the formats of pictures."""
