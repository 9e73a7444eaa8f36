"""From graphs to graphs: the reverse walk, the algebra of closed forms, matrices that are linear maps."""
