package cosign

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"testing"
)

func pemOf(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestParseKeys(t *testing.T) {
	one, two := pemOf(t, &newKey(t, elliptic.P256()).PublicKey), pemOf(t, &newKey(t, elliptic.P521()).PublicKey)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	sum := func(text string) string {
		t.Helper()
		keys, err := ParseKeys([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return keys.Sum()
	}
	if a, b := sum(one+two), sum("# the old one\n"+two+"\nthe new one:\n"+one); a != b || a == sum(one) || len(a) != 64 {
		t.Errorf("%s, %s", a, b)
	}
	if (Keys{}).Sum() != "" {
		t.Error("no keys have a sum")
	}
	for what, c := range map[string]struct{ text, want string }{
		"nothing":     {"", "has no public key in PEM"},
		"words":       {"ours", "has no public key in PEM"},
		"cut":         {one + two[:60], "has a key in it that is cut or damaged"},
		"damaged":     {strings.Replace(one, "MFkw", "M*kw", 1) + two, "has a key in it that is cut or damaged"},
		"other bytes": {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "has a public key in it that cannot be read"},
		"certificate": {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", `holds a "CERTIFICATE"`},
		"private":     {"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", "holds a private key"},
		"short RSA":   {pemOf(t, &small.PublicKey), "has an RSA key of 1024 bits; use one of 2048 to 8192"},
		"short curve": {pemOf(t, &newKey(t, elliptic.P224()).PublicKey), "has an ECDSA key of 224 bits"},
		"many":        {strings.Repeat(one, 17), "has more than 16 keys"},
		"large":       {strings.Repeat(" ", MaxKeyFile+1), "is larger than 64 KiB"},
	} {
		if _, err := ParseKeys([]byte(c.text)); err == nil || !strings.HasPrefix(err.Error(), c.want) || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestMessageSignature reads a bundle that signs the manifest itself.
func TestMessageSignature(t *testing.T) {
	key := newKey(t, elliptic.P256())
	keys, err := ParseKeys([]byte(pemOf(t, &key.PublicKey)))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("manifest"))
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	bundle := func(algorithm string) []byte {
		encode := base64.StdEncoding.EncodeToString
		return []byte(`{"mediaType":"` + Bundle + `","messageSignature":{"messageDigest":{"algorithm":"` + algorithm + `","digest":"` + encode(sum[:]) + `"},"signature":"` + encode(signature) + `"}}`)
	}
	digest := "sha256:" + hex.EncodeToString(sum[:])
	judge := Policy{Keys: keys}.Judge("r.lan/a", digest)
	if !judge.Add(Bundle, nil, bundle("SHA2_256")) {
		t.Error(judge.Verdict())
	}
	for what, j := range map[string]*Judge{"another image": Policy{Keys: keys}.Judge("r.lan/a", "sha256:0"), "another key": Policy{}.Judge("r.lan/a", digest)} {
		if j.Add(Bundle, nil, bundle("SHA2_256")) {
			t.Errorf("%s: counts", what)
		}
	}
	if judge.Add(Bundle, nil, bundle("SHA2_512")) || judge.Add("text/plain", nil, nil) {
		t.Error("another algorithm, or no signature, counts")
	}
}

// TestRepositoryInFull knows Docker's registry by each of its names.
func TestRepositoryInFull(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParseKeys([]byte(pemOf(t, public)))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(repository string) (payload []byte, annotations map[string]string) {
		payload = []byte(`{"critical":{"identity":{"docker-reference":"` + repository + `"},"image":{"docker-manifest-digest":"sha256:0"},"type":"cosign container image signature"},"optional":null}`)
		return payload, map[string]string{SignatureAnnotation: base64.StdEncoding.EncodeToString(ed25519.Sign(private, payload))}
	}
	for repository, counts := range map[string]bool{
		"index.docker.io/library/debian": true, "docker.io/library/debian": true, "debian": true, "debian:bookworm": true,
		"docker.io/library/debian@sha256:0": true, "docker.io/other/debian": false, "ghcr.io/library/debian": false, "": false,
	} {
		payload, annotations := sign(repository)
		judge := Policy{Keys: keys}.Judge("index.docker.io/library/debian", "sha256:0")
		if judge.Add(SimpleSigning, annotations, payload) != counts {
			t.Errorf("%q: %v", repository, judge.Verdict())
		}
	}
}
