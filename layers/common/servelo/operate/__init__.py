"""What the operator does at a terminal: look, mend, move data in and out. Behind the ``servelo`` command.

Nothing here runs in Lambda. The same code works against AWS and against the local stack: both are found
through their CloudFormation stack, and ``AWS_ENDPOINT_URL`` says where.
"""
