"""What rows mean, written once in Ibis (casts, rows, transforms), and the engines that run it."""
