"""A process that fails at the first header, by an error that quotes a patient."""

import sys

from stact_pacs.cine.confinement import confined, next_request

if __name__ == "__main__":
    next_request(confined(int(sys.argv[1]), name="header process"))
    print({"Doe^Jane": 1 // 0})
