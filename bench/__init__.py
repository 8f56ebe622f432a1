"""How fast is Overwinter beside restic, borg, virtnbdbackup and qemu-img, on one image in one run?"""
