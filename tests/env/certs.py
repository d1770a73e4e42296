"""A throw-away CA and a server certificate for localhost, made by openssl."""
import os
import subprocess

from .base import program, scratch

SAN = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"


class Certificates:
    """ca, cert, key: PEM paths. `wrong_ca` signed nothing: for refusals."""
    _made = None

    def __new__(cls):
        if cls._made is None:
            cls._made = super().__new__(cls)
            cls._made._make(os.path.join(scratch(), "tls"))
        return cls._made

    def _make(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.ca, self.wrong_ca = self._self_signed("ca"), self._self_signed("wrong")
        self.key, self.cert = self._at("server.key"), self._at("server.pem")
        request = self._at("server.csr")
        self._openssl("req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-keyout", self.key, "-out", request, "-subj", "/CN=localhost")
        with open(self._at("ext"), "w") as f:
            f.write(SAN + "\nbasicConstraints=CA:FALSE\n")
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._at("ca.key"),
                      "-CAcreateserial", "-days", "30", "-extfile", self._at("ext"), "-out", self.cert)
        os.chmod(self.key, 0o644)

    def _self_signed(self, name):
        out = self._at(name + ".pem")
        self._openssl("req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-keyout", self._at(name + ".key"), "-out", out, "-days", "30", "-subj", "/CN=zpushd test " + name)
        return out

    def _at(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def _openssl(*args):
        subprocess.run([program("openssl"), *args], check=True, stdin=subprocess.DEVNULL, capture_output=True)
