"""The power model of base stations: standby and radiated power by type of radio unit, less what is saved."""
