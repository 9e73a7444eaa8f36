"""THE TABLE: how each operation is differentiated, as rows of data, and the shapes of results."""
