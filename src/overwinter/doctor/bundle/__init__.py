"""The support bundle: what somebody who was not there needs to understand a VM's trouble, in one zip.

- ``bundle``: which files there are, and making them
- ``archive``: the zip: every file goes through the redactor, and ``README.txt`` tells of each
- ``known_secrets``: the secrets that this service knows, so that none of them leaves
- ``documents``, ``host``, ``guest``: what is in the files
- ``tail``: the ends of logs
"""
