package secureboot

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"

	"github.com/gitboot/gitboot/boot/efivar"
)

// A Firmware is what a machine's says of itself.
type Firmware struct {
	// On says that it starts only what it trusts, Setup that anybody may say what that
	// is, because there is no platform key.
	On, Setup bool
	Trusted   []Trusted
}

// A Trusted is one of what is in PK, KEK or db.
type Trusted struct {
	Role Role
	// Name says whose it is. Certificate is nil of what is none, such as a hash.
	Name        string
	Certificate *x509.Certificate
}

// vendor is whose a role's variable is.
func (r Role) vendor() string {
	if r == DB {
		return efivar.Security
	}
	return efivar.Global
}

// ReadFirmware reads that.
func ReadFirmware(vars efivar.Folder) (f Firmware, err error) {
	if err := vars.Check(); err != nil {
		return f, err
	}
	for name, value := range map[string]*bool{"SecureBoot": &f.On, "SetupMode": &f.Setup} {
		data, err := vars.Read(name, efivar.Global)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		*value = len(data) == 1 && data[0] == 1
	}
	for _, r := range roles() {
		data, err := vars.Read(string(r), r.vendor())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return f, err
		}
		all, err := Parse(data)
		if err != nil {
			return f, fmt.Errorf("read the firmware's %s: %w", r, err)
		}
		for _, s := range all {
			f.Trusted = append(f.Trusted, trusted(r, s))
		}
	}
	return f, nil
}

func trusted(r Role, s Signature) Trusted {
	if s.Type.String() == typeX509 {
		if c, err := x509.ParseCertificate(s.Data); err == nil {
			return Trusted{r, Name(c), c}
		}
	}
	return Trusted{r, s.describe(), nil}
}

// Name says whose a certificate is: those for tests have no name at all.
func Name(c *x509.Certificate) string {
	return cmp.Or(c.Subject.CommonName, c.Subject.String(), fmt.Sprintf("a certificate without a name, serial number %x", c.SerialNumber))
}

// DB are the certificates by which programs are trusted.
func (f Firmware) DB() (all []*x509.Certificate) {
	for _, t := range f.Trusted {
		if t.Role == DB && t.Certificate != nil {
			all = append(all, t.Certificate)
		}
	}
	return all
}
