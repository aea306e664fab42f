"""The parts of a backbone; each declares the shifts it keeps."""
