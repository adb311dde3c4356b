"""x"""
def add(module): pass
