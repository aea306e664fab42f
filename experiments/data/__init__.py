"""Scripts that bring data from package files to a folder of their own."""
