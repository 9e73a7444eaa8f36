"""Numbers from files, from Python and from the command line."""
