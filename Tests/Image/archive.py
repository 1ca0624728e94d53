"""An OCI archive as `buildah push … oci-archive:` writes it: its figures, and its root unpacked.

Source: OCI image layout and image specification 1.1.
"""

import gzip
import io
import json
import os
import tarfile


class Archive:
    """One image with gzipped layers."""

    def __init__(self, path):
        self.tar = tarfile.open(path)
        self.digest = self.document("index.json")["manifests"][0]["digest"]
        manifest = self.blob_document(self.digest)
        self.layers = manifest["layers"]
        self.config = self.blob_document(manifest["config"]["digest"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tar.close()

    def document(self, name):
        return json.load(self.tar.extractfile(name))

    def blob(self, digest):
        return self.tar.extractfile("blobs/" + digest.replace(":", "/")).read()

    def blob_document(self, digest):
        return json.loads(self.blob(digest))

    @property
    def compressed_bytes(self):
        return sum(layer["size"] for layer in self.layers)

    def unpack(self, folder):
        """Lays the layers over each other; returns the bytes of all regular files.

        The image removes nothing, so a whiteout would be a mistake: it fails here.
        """
        total = 0
        for layer in self.layers:
            data = gzip.decompress(self.blob(layer["digest"]))
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                for member in tar:
                    if os.path.basename(member.name).startswith(".wh."):
                        raise ValueError(f"unexpected whiteout {member.name}")
                    tar.extract(member, folder, set_attrs=True)
                    total += member.size if member.isreg() else 0
        return total
