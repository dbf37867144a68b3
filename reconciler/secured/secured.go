// Package secured says whether what a machine boots is signed by keys that its firmware
// trusts.
package secured

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/gitboot/gitboot/boot/efivar"
	"github.com/gitboot/gitboot/boot/sdboot"
	"github.com/gitboot/gitboot/boot/secureboot"
	"github.com/gitboot/gitboot/boot/uki"
)

// A Machine is where that is looked at.
type Machine struct {
	Keys secureboot.Folder
	// Boot and Stage are the reconciler's.
	Boot, Stage string
	Variables   efivar.Folder
}

// A Status is what was found.
type Status struct {
	// Firmware is nil where it cannot be asked, and Unasked says why.
	Firmware *secureboot.Firmware
	Unasked  error
	// Signer is what signs, nil without keys, and Unsigned says why there is none.
	// Trusted says that the firmware trusts it.
	Signer   *uki.Signer
	Unsigned error
	Trusted  bool
	Programs []Program
	// Unfound says why no boot loader was found whose programs could be looked at.
	Unfound error
}

// A Program is one that the firmware starts, or the boot loader.
type Program struct {
	Path string
	// By is whose certificate it is trusted by, "" if it is not, and Wrong says why.
	By    string
	Wrong string
}

// Look finds it out. Programs are looked at with the eyes of the firmware or, where that
// trusts nothing yet or cannot be asked, as if it trusted these keys.
func (m Machine) Look() (s Status) {
	if is, err := secureboot.ReadFirmware(m.Variables); err != nil {
		s.Unasked = err
	} else {
		s.Firmware = &is
	}
	if s.Signer, s.Unsigned = m.Keys.Signer(); s.Unsigned == nil && s.Firmware != nil {
		s.Trusted, s.Unsigned = m.Keys.Trusts(*s.Firmware)
	}
	s.Programs, s.Unfound = m.programs(s.eyes())
	return s
}

func (s Status) eyes() (trusted []*x509.Certificate) {
	if s.Firmware != nil {
		trusted = s.Firmware.DB()
	}
	if len(trusted) == 0 && s.Signer != nil {
		trusted = append(trusted, s.Signer.Certificate)
	}
	return trusted
}

func (m Machine) programs(trusted []*x509.Certificate) (all []Program, err error) {
	l, err := sdboot.Open(m.Boot, m.Stage)
	if err != nil {
		return nil, err
	}
	files, err := sdboot.Programs(l)
	for _, file := range files {
		p := Program{Path: file}
		if by, err := uki.Verify(file, trusted); err != nil {
			p.Wrong = strings.TrimPrefix(err.Error(), file+": ")
		} else {
			p.By = secureboot.Name(by)
		}
		all = append(all, p)
	}
	return all, err
}

// Enrollable refuses keys with which the machine would not boot: all that it boots has
// to be signed by them.
func (m Machine) Enrollable() error {
	signer, err := m.Keys.Signer()
	if err != nil {
		return err
	}
	all, err := m.programs([]*x509.Certificate{signer.Certificate})
	if err != nil {
		return err
	}
	var wrong []error
	for _, p := range all {
		if p.By == "" {
			wrong = append(wrong, fmt.Errorf("%s: %s", p.Path, p.Wrong))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("the machine would not start what is not signed by these keys; sign boot loaders with `gitboot keys sign`, and have entries signed by secure_boot = true and a reconcile:\n%w", errors.Join(wrong...))
}
