package image

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/tests/lab"
)

// cosignProgram is built once for all tests.
var cosignProgram = sync.OnceValues(func() (string, error) { return lab.Cosign(context.Background()) })

func newSigner(t *testing.T) *lab.Signer {
	t.Helper()
	program, err := cosignProgram()
	check(t, err)
	s, err := lab.NewSigner(t.Context(), program, t.TempDir())
	check(t, err)
	return s
}

func policyOf(t *testing.T, signers ...*lab.Signer) cosign.Policy {
	t.Helper()
	var all []byte
	for _, s := range signers {
		data, err := os.ReadFile(s.PublicKey)
		check(t, err)
		all = append(all, data...)
	}
	keys, err := cosign.ParseKeys(all)
	check(t, err)
	return cosign.Policy{Keys: keys, File: "keys/release.pub"}
}

// withReferrers gives the registry the interface for what refers to an image.
func (w *wire) withReferrers() *wire {
	w.real = registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
	return w
}

// numbered is an image unlike others.
func numbered(t *testing.T, n int) v1.Image {
	t.Helper()
	content := someTar(t, 100+n)
	return imageOf(t, layerOf(gz(t, content), content, types.OCILayer))
}

func (w *wire) at(ref string) string { return w.host + "/" + ref }

func digestRef(t *testing.T, ref string) name.Digest {
	t.Helper()
	d, err := name.NewDigest(ref, name.Insecure)
	check(t, err)
	return d
}

func unsigned(t *testing.T, err error, words ...string) {
	t.Helper()
	wantError[*cosign.UnsignedError](t, err, words...)
	if got := exchange.Why(err); got != "not signed by its key" {
		t.Errorf("in short: %q", got)
	}
}

// TestSigned has the real cosign sign in both of its forms, with a registry that
// knows what refers to an image, and with one that keeps a tag for it.
func TestSigned(t *testing.T) {
	mine, other := newSigner(t), newSigner(t)
	for _, form := range []string{lab.SimpleSigning, lab.Bundle} {
		for _, referrers := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, referrers %v", form, referrers), func(t *testing.T) {
				w := newWire(t)
				if referrers {
					w.withReferrers()
				}
				verify := func(digest string, p cosign.Policy) error {
					return Verify(t.Context(), w.at("router:1"), digest, p, quick())
				}
				digest := w.push(t, "router:1", numbered(t, 1))
				unsigned(t, verify(digest, policyOf(t, mine)), w.at("router")+"@"+digest+" is not signed; sign it with")

				check(t, other.Sign(t.Context(), form, w.at("router@"+digest)))
				unsigned(t, verify(digest, policyOf(t, mine)), "is not signed with a key of keys/release.pub, but with another (signatures: 1)")

				check(t, mine.Sign(t.Context(), form, w.at("router@"+digest)))
				w.broken(nil)
				check(t, verify(digest, policyOf(t, mine)))
				if w.count("GET", img(t, w, "router@"+digest)) > 0 {
					t.Error("a layer is fetched")
				}
				check(t, verify(digest, policyOf(t, other)))
				check(t, verify(digest, policyOf(t, newSigner(t), mine)))
			})
		}
	}
}

// img is the digest of an image's only layer.
func img(t *testing.T, w *wire, ref string) string {
	t.Helper()
	i, err := remote.Image(digestRef(t, w.at(ref)))
	check(t, err)
	layers, err := i.Layers()
	check(t, err)
	d, err := layers[0].Digest()
	check(t, err)
	return d.String()
}

// TestSignedIndex has either an index signed or the one image in it that counts.
func TestSignedIndex(t *testing.T) {
	w, signer := newWire(t), newSigner(t)
	push := func(tag string, n int) (index, platform, elsewhere string) {
		mine, others := numbered(t, n), imageFor(t, "arm64", layerOf(gz(t, someTar(t, n)), someTar(t, n), types.OCILayer))
		both := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
			mutate.IndexAddendum{Add: mine, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
			mutate.IndexAddendum{Add: others, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}})
		ref, err := name.NewTag(w.at(tag), name.Insecure)
		check(t, err)
		check(t, remote.WriteIndex(ref, both))
		a, err := both.Digest()
		check(t, err)
		b, err := mine.Digest()
		check(t, err)
		c, err := others.Digest()
		check(t, err)
		return a.String(), b.String(), c.String()
	}
	for i, form := range []string{lab.SimpleSigning, lab.Bundle} {
		index, platform, elsewhere := push("router:1", 10+i)
		verify := func() error {
			return Verify(t.Context(), w.at("router:1"), index, policyOf(t, signer), quick())
		}
		unsigned(t, verify(), index+" is not signed")
		check(t, signer.Sign(t.Context(), form, w.at("router@"+elsewhere)))
		unsigned(t, verify(), index+" is not signed")
		check(t, signer.Sign(t.Context(), form, w.at("router@"+platform)))
		check(t, verify())

		index, _, _ = push("router:1", 20+i)
		check(t, signer.Sign(t.Context(), form, w.at("router@"+index)))
		check(t, verify())
	}
}

// TestKindsOfKeys imports keys that openssl made.
func TestKindsOfKeys(t *testing.T) {
	w, signer := newWire(t), newSigner(t)
	for i, options := range [][]string{
		{"-algorithm", "ed25519"}, {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}, {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
	} {
		private := filepath.Join(t.TempDir(), "private.pem")
		out, err := exec.CommandContext(t.Context(), "openssl", append([]string{"genpkey", "-out", private}, options...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		check(t, signer.Import(t.Context(), fmt.Sprint("imported", i), private))
		for j, form := range []string{lab.SimpleSigning, lab.Bundle} {
			digest := w.push(t, "router:1", numbered(t, 30+2*i+j))
			check(t, signer.Sign(t.Context(), form, w.at("router@"+digest)))
			if err := Verify(t.Context(), w.at("router:1"), digest, policyOf(t, signer), quick()); err != nil {
				t.Errorf("%s, %s: %v", options[1], form, err)
			}
		}
	}
}

// copyImage copies whatever a reference names, and gives it another.
func copyImage(t *testing.T, from, to string) {
	t.Helper()
	src, err := name.ParseReference(from, name.Insecure)
	check(t, err)
	dst, err := name.ParseReference(to, name.Insecure)
	check(t, err)
	i, err := remote.Image(src)
	check(t, err)
	check(t, remote.Write(dst, i))
}

func signatureTag(digest string) string { return strings.Replace(digest, ":", "-", 1) + ".sig" }

// TestSignatureOfAnother copies true signatures to where they don't belong.
func TestSignatureOfAnother(t *testing.T) {
	w, signer := newWire(t), newSigner(t)
	policy := policyOf(t, signer)
	verify := func(ref, digest string, p cosign.Policy) error {
		return Verify(t.Context(), w.at(ref), digest, p, quick())
	}
	good, evil := w.push(t, "router:1", numbered(t, 50)), w.push(t, "router:evil", numbered(t, 51))
	check(t, signer.Sign(t.Context(), lab.SimpleSigning, w.at("router@"+good)))
	copyImage(t, w.at("router:"+signatureTag(good)), w.at("router:"+signatureTag(evil)))
	unsigned(t, verify("router:evil", evil, policy), evil+" has no signature that counts (signatures: 1): it is of another image, [\"sha256:")

	// The image with its signature, in a repository that the signature does not name.
	copyImage(t, w.at("router:1"), w.at("mirror/router:1"))
	copyImage(t, w.at("router:"+signatureTag(good)), w.at("mirror/router:"+signatureTag(good)))
	unsigned(t, verify("mirror/router:1", good, policy), "it is of \""+w.at("router")+"\", and not of "+w.at("mirror/router")+": set cosign_repository")
	elsewhere := policy
	elsewhere.Repository = w.at("router")
	check(t, verify("mirror/router:1", good, elsewhere))

	// A bundle that refers to one image is said to refer to another.
	check(t, signer.Sign(t.Context(), lab.Bundle, w.at("router@"+good)))
	copyReferrers(t, w, good, evil, nil)
	unsigned(t, verify("router:evil", evil, policy), "it is of another image")
}

// copyReferrers gives what refers to one image to another one, annotations left
// out, and the bundle changed if so wanted.
func copyReferrers(t *testing.T, w *wire, from, to string, change func([]byte) []byte) {
	t.Helper()
	index, err := remote.Referrers(digestRef(t, w.at("router@"+from)))
	check(t, err)
	list, err := index.IndexManifest()
	check(t, err)
	for _, d := range list.Manifests {
		i, err := remote.Image(digestRef(t, w.at("router@"+d.Digest.String())))
		check(t, err)
		layers, err := i.Layers()
		check(t, err)
		rc, err := layers[0].Compressed()
		check(t, err)
		var data bytes.Buffer
		_, err = data.ReadFrom(rc)
		check(t, err)
		blob := data.Bytes()
		if change != nil {
			blob = change(blob)
		}
		refer(t, w, to, blob)
	}
}

// refer pushes a bundle that refers to an image.
func refer(t *testing.T, w *wire, digest string, bundle []byte) {
	t.Helper()
	subject, err := remote.Head(digestRef(t, w.at("router@"+digest)))
	check(t, err)
	i, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{Layer: static.NewLayer(bundle, cosign.Bundle)})
	check(t, err)
	i = mutate.Subject(mutate.ConfigMediaType(i, "application/vnd.oci.empty.v1+json"), *subject).(v1.Image)
	d, err := i.Digest()
	check(t, err)
	check(t, remote.Write(digestRef(t, w.at("router@"+d.String())), i))
}

// TestSignedOtherwise has documents that the right key signed, or seems to have,
// and that are no signature of the image.
func TestSignedOtherwise(t *testing.T) {
	w, signer := newWire(t), newSigner(t)
	policy := policyOf(t, signer)
	verify := func(digest string) error { return Verify(t.Context(), w.at("router:1"), digest, policy, quick()) }

	// What a test found of the image is signed, too.
	digest := w.push(t, "router:1", numbered(t, 60))
	predicate := filepath.Join(t.TempDir(), "found.json")
	check(t, os.WriteFile(predicate, []byte(`{"found": "a hole"}`), 0o600))
	key := strings.TrimSuffix(signer.PublicKey, ".pub") + ".key"
	check(t, signer.Run(t.Context(), "attest", "--key", key, "--yes", "--allow-http-registry", "--tlog-upload=false", "--use-signing-config=false",
		"--type", "custom", "--predicate", predicate, w.at("router@"+digest)))
	unsigned(t, verify(digest), `it states "https://cosign.sigstore.dev/attestation/v1" of the image, which is another thing than to sign it`)

	// The statement is changed, and its signature kept.
	good, evil := w.push(t, "router:1", numbered(t, 61)), w.push(t, "router:1", numbered(t, 62))
	check(t, signer.Sign(t.Context(), lab.Bundle, w.at("router@"+good)))
	copyReferrers(t, w, good, evil, func(bundle []byte) []byte {
		var b map[string]any
		check(t, json.Unmarshal(bundle, &b))
		envelope := b["dsseEnvelope"].(map[string]any)
		envelope["payload"] = rewrite(t, envelope["payload"].(string), good, evil)
		out, err := json.Marshal(b)
		check(t, err)
		return out
	})
	unsigned(t, verify(evil), "but with another")

	// None of these is read, and none stands in the way of the true one.
	digest = w.push(t, "router:1", numbered(t, 63))
	for _, junk := range [][]byte{nil, []byte("{"), []byte(`{"mediaType":"` + cosign.Bundle + `"}`), bytes.Repeat([]byte(" "), 2<<20)} {
		refer(t, w, digest, junk)
	}
	unsigned(t, verify(digest), "(signatures: 4): it is larger than 1 MiB")
	check(t, signer.Sign(t.Context(), lab.SimpleSigning, w.at("router@"+digest)))
	check(t, verify(digest))
}

// rewrite puts another digest into a payload in base64.
func rewrite(t *testing.T, payload, from, to string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(payload)
	check(t, err)
	hex := func(digest string) string { return strings.TrimPrefix(digest, "sha256:") }
	changed := strings.ReplaceAll(string(raw), hex(from), hex(to))
	if changed == string(raw) {
		t.Fatalf("%s does not name %s", raw, from)
	}
	return base64.StdEncoding.EncodeToString([]byte(changed))
}

// TestManySignatures bounds what is looked at.
func TestManySignatures(t *testing.T) {
	w, signer := newWire(t), newSigner(t)
	digest := w.push(t, "router:1", numbered(t, 70))
	other := newSigner(t)
	check(t, other.Sign(t.Context(), lab.SimpleSigning, w.at("router@"+digest)))
	tag, err := name.NewTag(w.at("router:"+signatureTag(digest)), name.Insecure)
	check(t, err)
	one, err := remote.Image(tag)
	check(t, err)
	m, err := one.Manifest()
	check(t, err)
	layers, err := one.Layers()
	check(t, err)
	many := one
	for range 200 {
		many, err = mutate.Append(many, mutate.Addendum{Layer: layers[0], Annotations: m.Layers[0].Annotations, MediaType: m.Layers[0].MediaType})
		check(t, err)
	}
	check(t, remote.Write(tag, many))
	w.broken(nil)
	unsigned(t, Verify(t.Context(), w.at("router:1"), digest, policyOf(t, signer), quick()), "more than")
	if n := w.count("GET", "/blobs/"); n > 150 {
		t.Errorf("%d signatures are fetched", n)
	}
}

// TestSignatureFromMirror takes a signature wherever it lies.
func TestSignatureFromMirror(t *testing.T) {
	home, mirror, signer := newWire(t), newWire(t), newSigner(t)
	digest := home.push(t, "router:1", numbered(t, 80))
	mirror.push(t, "router:1", numbered(t, 80))
	opts := quick()
	opts.Mirrors = []string{mirror.host}
	policy := policyOf(t, signer)
	verify := func() error { return Verify(t.Context(), home.at("router:1"), digest, policy, opts) }
	unsigned(t, verify(), home.at("router")+"@"+digest+" is not signed")
	check(t, signer.Sign(t.Context(), lab.SimpleSigning, home.at("router@"+digest)))
	check(t, verify())
	copyImage(t, home.at("router:"+signatureTag(digest)), mirror.at("router:"+signatureTag(digest)))
	home.broken(nil)
	check(t, verify())
	if n := home.count("GET", ""); n > 0 {
		t.Errorf("the registry is asked %d times, though the mirror has the signature", n)
	}
}

// TestSignatureFaults tells a registry that fails from one that has none.
func TestSignatureFaults(t *testing.T) {
	w, signer := newWire(t), newSigner(t)
	digest := w.push(t, "router:1", numbered(t, 90))
	check(t, signer.Sign(t.Context(), lab.SimpleSigning, w.at("router@"+digest)))
	policy := policyOf(t, signer)
	answer := func(status int, part string) error {
		w.broken(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			if strings.Contains(r.URL.Path, part) {
				rw.WriteHeader(status)
				return
			}
			next.ServeHTTP(rw, r)
		})
		return Verify(t.Context(), w.at("router:1"), digest, policy, quick())
	}
	for _, status := range []int{400, 404, 405, 403} { // it knows nothing of what refers to an image
		if err := answer(status, "/referrers/"); err != nil {
			t.Errorf("%d: %v", status, err)
		}
	}
	bundled := w.push(t, "router:1", numbered(t, 91))
	w.broken(nil)
	check(t, signer.Sign(t.Context(), lab.Bundle, w.at("router@"+bundled)))
	for _, status := range []int{400, 401, 403, 404} { // and keeps a tag for it
		answer(status, "/referrers/")
		if err := Verify(t.Context(), w.at("router:1"), bundled, policy, quick()); err != nil {
			t.Errorf("%d: %v", status, err)
		}
	}
	wantError[*StatusError](t, answer(503, "/referrers/"), "after 3 attempts", "503")
	wantError[*AuthError](t, answer(403, ".sig"), "refused access")
	wantError[*StatusError](t, answer(500, "/blobs/"), "500")
	w.broken(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			_, _ = rw.Write([]byte("another"))
			return
		}
		next.ServeHTTP(rw, r)
	})
	wantError[*DigestError](t, Verify(t.Context(), w.at("router:1"), digest, policy, quick()), "is not what was promised")
	ctx, cancel := context.WithCancel(t.Context())
	w.broken(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		cancel()
		<-r.Context().Done()
	})
	if err := Verify(ctx, w.at("router:1"), digest, policy, quick()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What signs an image may be on a later page of what refers to it, and a list without
// end has one.
func TestSignatureOnALaterPage(t *testing.T) {
	mine := newSigner(t)
	w := newWire(t).withReferrers()
	digest := w.push(t, "router:1", numbered(t, 1))
	check(t, mine.Sign(t.Context(), lab.Bundle, w.at("router@"+digest)))
	noise := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/spdx+json","size":1,"digest":"` + digest + `"}]}`
	paged := func(last int, link string) error {
		w.broken(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			at, _ := strconv.Atoi(r.URL.Query().Get("page"))
			if !strings.Contains(r.URL.Path, "/referrers/") || at == last {
				next.ServeHTTP(rw, r)
				return
			}
			rw.Header().Set("Content-Type", string(types.OCIImageIndex))
			rw.Header().Set("Link", fmt.Sprintf(link, at+1))
			_, _ = io.WriteString(rw, noise)
		})
		return Verify(t.Context(), w.at("router:1"), digest, policyOf(t, mine), quick())
	}
	own := "</v2/router/referrers/" + digest + `?page=%d>; rel="next"`
	check(t, paged(3, own))
	if n := w.count("GET", "/referrers/"); n != 4 {
		t.Errorf("%d pages are read", n)
	}
	unsigned(t, paged(-1, own), "has no signature that counts")
	if n := w.count("GET", "/referrers/"); n != 16 {
		t.Errorf("of a list without end %d pages are read", n)
	}
	wantError[*UnsupportedError](t, paged(3, `<http://elsewhere.example/v2/router/referrers/x?page=%d>; rel="next"`), "another place")
}
