"""From a graph and its readings to the rows that are shown."""
