"""Networks for Intel's Loihi chip, and the cores that they take there."""
