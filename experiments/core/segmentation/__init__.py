"""A dense task on the same photographs: which pixel is of which scene?"""
