"""What a network costs: parameters, multiply-adds, memory and receptive fields, read off its own forward."""
