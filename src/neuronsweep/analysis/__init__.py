"""What a fit is: its kinks, how far it is from the best possible, where it stops being true."""
