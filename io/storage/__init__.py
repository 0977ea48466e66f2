"""Files on disks and objects on stores: written whole or not at all, compared with what they should be."""
