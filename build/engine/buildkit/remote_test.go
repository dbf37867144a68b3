package buildkit

import (
	"archive/tar"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1empty "github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/enginetest"
	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/build/recipe/recipetest"
	"github.com/gitboot/gitboot/tests/need"
)

// A builder over a network proves who it is and is told who we are. It pulls
// what a fragment names with our credentials.
func TestBuildkitOverTLS(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	ca, other := newAuthority(t, dir, "ca"), newAuthority(t, dir, "other")
	cert, key := ca.issue(t, "server")
	own := protocol.Builder{Address: "tcp://" + freeAddress(t), CA: ca.path}
	own.Cert, own.Key = ca.issue(t, "client")
	startBuildkitd(t, dir, []string{own.Address}, "--tlscert", cert, "--tlskey", key, "--tlscacert", ca.path)
	b := newBuildkit(t, speaker(t), own)
	if err := b.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want  string
		spoil func(*protocol.Builder)
	}{
		{"tls: certificate required", func(o *protocol.Builder) { o.Cert, o.Key = "", "" }},
		{"tls: certificate required", func(o *protocol.Builder) { o.Cert, o.Key = other.issue(t, "stranger") }},
		{"unknown authority", func(o *protocol.Builder) { o.CA = other.path }},
		{"no such file", func(o *protocol.Builder) { o.CA += "-missing" }},
		{"holds none in the form PEM", func(o *protocol.Builder) { o.CA = own.Key }},
		{"connection refused", func(o *protocol.Builder) { o.Address = "tcp://" + freeAddress(t) }},
	} {
		b.opts.Builder = own
		c.spoil(&b.opts.Builder)
		if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.want, err)
		}
	}
	b.opts.Builder = own

	ref, credentials := privateImage(t)
	r := recipe.Recipe{Scratch: true, FS: recipetest.Repo(map[string]string{"f": "FROM " + ref + " AS private\nFROM $GITBOOT_FROM\nCOPY --from=private /file /copied\n"}), Containerfiles: []string{"f"}}
	if _, _, err := enginetest.Build(t, b, r, engine.Options{}); err == nil || strings.Contains(err.Error(), "swordfish") {
		t.Errorf("without credentials: %v", err)
	}
	if got := enginetest.Contents(t, enginetest.Built(t, b, r, engine.Options{CredentialsFile: credentials}))["copied"].Content; got != "private" {
		t.Errorf("the file is %q", got)
	}
}

// freeAddress is one of loopback where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// privateImage serves an image to who knows the password, and returns its name
// and a credential file.
func privateImage(t *testing.T) (ref, credentials string) {
	t.Helper()
	open := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "user" || password != "swordfish" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		open.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	tag, err := name.NewTag(host + "/private:1")
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(v1empty.Image, static.NewLayer(tarOf(t, "file", "private"), types.OCIUncompressedLayer))
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, img, remote.WithAuth(&authn.Basic{Username: "user", Password: "swordfish"})); err != nil {
		t.Fatal(err)
	}
	credentials = filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(credentials, []byte(`{"auths":{"`+host+`":{"auth":"dXNlcjpzd29yZGZpc2g="}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return tag.String(), credentials
}

// An authority issues certificates.
type authority struct {
	dir, path string
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{dir: dir, path: filepath.Join(dir, name+".pem")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert, a.key = template, newKey(t)
	writePEM(t, a.path, "CERTIFICATE", a.sign(t, template, a.key))
	return a
}

// issue writes a certificate for loopback and its key.
func (a *authority) issue(t *testing.T, name string) (cert, key string) {
	t.Helper()
	k := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, key = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	writePEM(t, cert, "CERTIFICATE", a.sign(t, template, k))
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, key, "PRIVATE KEY", der)
	return cert, key
}

func (a *authority) sign(t *testing.T, template *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tarOf is an archive of one file.
func tarOf(t *testing.T, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
