"""How to say with older operators what a newer one says: one function per operator and opset that changed it."""
