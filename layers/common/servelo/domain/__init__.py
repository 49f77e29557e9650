"""What a help desk is. Standard library only."""
