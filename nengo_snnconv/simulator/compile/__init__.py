"""From a built Nengo network to a program of the fast simulator."""
