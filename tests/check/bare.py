def bare(check): pass
