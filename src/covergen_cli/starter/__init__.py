"""The small base and adapter that ship inside the wheel, and the program that trains them."""
