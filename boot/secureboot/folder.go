// Package secureboot keeps the keys of UEFI's Secure Boot (UEFI specification 2.10,
// chapter 32), and says what a firmware trusts.
//
// There are three, each with a certificate of its own: the platform key (PK) decides
// who may change the key exchange keys (KEK), these who may change what is trusted (db),
// and what is signed by a key in db, the firmware starts. They lie in a folder:
//
//	PK.key PK.crt     in PEM form
//	KEK.key KEK.crt
//	db.key db.crt     what signs; the others can be kept elsewhere
//	owner             the GUID by which a firmware tells whose they are
package secureboot

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gitboot/gitboot/boot/uki"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/owned"
)

// A Folder holds a machine's keys.
type Folder string

// A Role is what a key is for.
type Role string

// The roles, in the order in which each decides who may change the next.
const (
	PK  Role = "PK"
	KEK Role = "KEK"
	DB  Role = "db"
)

// roles are all of them.
func roles() []Role { return []Role{PK, KEK, DB} }

// bits are those of new keys: all firmware knows these.
const bits = 2048

// years is how long certificates are valid, which no firmware looks at.
const years = 30

func (f Folder) file(name string) string { return filepath.Join(string(f), name) }

// Key and Certificate are the files of a role.
func (f Folder) Key(r Role) string         { return f.file(string(r) + ".key") }
func (f Folder) Certificate(r Role) string { return f.file(string(r) + ".crt") }

// An ExistsError says that there are keys already, which nothing replaces: what they
// have signed would boot no more.
type ExistsError struct{ Dir string }

func (e *ExistsError) Error() string {
	return fmt.Sprintf("there are keys in %s already; what they have signed boots with no others: name another folder with --keys, or move them away", e.Dir)
}

// Create makes keys, and their certificates, of a machine by its name. The pair that
// signs may be one that is there: files in PEM form, both "" for none.
func (f Folder) Create(name, key, certificate string, now time.Time) error {
	if err := f.create(name, key, certificate, now); err != nil {
		return fmt.Errorf("create keys: %w", err)
	}
	return nil
}

func (f Folder) create(name, key, certificate string, now time.Time) error {
	for _, r := range roles() {
		if _, err := os.Lstat(f.Certificate(r)); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(&ExistsError{string(f)}, err)
		}
	}
	if key != "" {
		if _, err := uki.LoadSigner(key, certificate); err != nil {
			return err
		}
	}
	if err := durable.MkdirAll(string(f), 0o700); err != nil {
		return err
	}
	if err := owned.Check(string(f)); err != nil {
		return err
	}
	if err := durable.WriteFile(f.file("owner"), []byte(uuid.NewString()+"\n"), 0o600); err != nil {
		return err
	}
	for _, r := range roles() { // db's certificate comes last: with it all are there
		var err error
		if r == DB && key != "" {
			err = errors.Join(copyFile(key, f.Key(r), 0o600), copyFile(certificate, f.Certificate(r), 0o644))
		} else {
			err = f.make(r, name, now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string, mode fs.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return durable.WriteFile(to, data, mode)
}

// make makes a key that signs itself.
func (f Folder) make(r Role, name string, now time.Time) error {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return err
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: fmt.Sprintf("gitboot %s of %s", r, name)},
		NotBefore: now.UTC().Truncate(24 * time.Hour), NotAfter: now.UTC().AddDate(years, 0, 0), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, SignatureAlgorithm: x509.SHA256WithRSA,
	}
	raw, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		durable.WriteFile(f.Key(r), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
		durable.WriteFile(f.Certificate(r), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), 0o644))
}

// Signer is what signs by the key in db; where that is not here, it can say only what
// is signed by it.
func (f Folder) Signer() (*uki.Signer, error) {
	key := f.Key(DB)
	switch _, err := os.Stat(f.Certificate(DB)); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("secure_boot is declared, and there is no %s; make keys with `gitboot keys create`, or say where they are with signing_keys in agent.toml", f.Certificate(DB))
	case err != nil:
		return nil, err
	}
	if _, err := os.Stat(key); errors.Is(err, fs.ErrNotExist) {
		key = ""
	}
	return uki.LoadSigner(key, f.Certificate(DB))
}

// owner is the GUID of whose these keys are.
func (f Folder) owner() (uuid.UUID, error) {
	data, err := os.ReadFile(f.file("owner"))
	if err != nil {
		return uuid.UUID{}, err
	}
	id, err := uuid.Parse(strings.TrimSpace(string(data)))
	if err != nil {
		return id, fmt.Errorf("%s: %w", f.file("owner"), err)
	}
	return id, nil
}
