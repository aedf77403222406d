"""x"""


def run(lab):
    pass
