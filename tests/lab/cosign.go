package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// A Signer signs images with the program cosign and a key pair of its own,
// offline.
type Signer struct {
	// PublicKey is the path of its key, in PEM.
	PublicKey string

	program, dir string
}

// The forms in which cosign keeps signatures.
const (
	// SimpleSigning is the older one: the tag sha256-….sig.
	SimpleSigning = "simple"
	// Bundle is the newer one: a sigstore bundle that refers to the image.
	Bundle = "bundle"
)

// Cosign builds the program, which takes some minutes the first time. It must run
// inside gitboot's own source tree.
func Cosign(ctx context.Context) (program string, err error) {
	if program, err = buildTool(ctx, "cosign", "github.com/sigstore/cosign/v3/cmd/cosign"); err != nil {
		return "", fmt.Errorf("build cosign: %w", err)
	}
	return program, nil
}

// NewSigner makes a key pair in dir.
func NewSigner(ctx context.Context, program, dir string) (*Signer, error) {
	s := OpenSigner(program, dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return s, s.Run(ctx, "generate-key-pair", "--output-key-prefix", filepath.Join(dir, "cosign"))
}

// OpenSigner uses the key pair that NewSigner made in dir.
func OpenSigner(program, dir string) *Signer {
	return &Signer{PublicKey: filepath.Join(dir, "cosign.pub"), program: program, dir: dir}
}

// Import makes the signer sign with another private key, of which PublicKey
// names the public one afterwards.
func (s *Signer) Import(ctx context.Context, name, private string) error {
	prefix := filepath.Join(s.dir, name)
	if err := s.Run(ctx, "import-key-pair", "--key", private, "--output-key-prefix", prefix); err != nil {
		return err
	}
	s.PublicKey = prefix + ".pub"
	return nil
}

// Sign signs an image on a registry without TLS, in one of the forms.
func (s *Signer) Sign(ctx context.Context, form, ref string, args ...string) error {
	key := s.PublicKey[:len(s.PublicKey)-len(".pub")] + ".key"
	all := []string{"sign", "--key", key, "--yes", "--allow-http-registry", "--tlog-upload=false", "--use-signing-config=false"}
	if form == SimpleSigning {
		all = append(all, "--new-bundle-format=false")
	}
	return s.Run(ctx, append(append(all, args...), ref)...)
}

// Run runs cosign.
func (s *Signer) Run(ctx context.Context, args ...string) error {
	env := slices.Concat(os.Environ(), []string{"HOME=" + s.dir, "COSIGN_PASSWORD=of the tests"})
	_, err := runEnv(ctx, env, s.program, args...)
	return err
}
