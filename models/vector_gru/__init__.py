"""VECTOR's GRU: the next positions of a drone from its last velocities."""
