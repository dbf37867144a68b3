package doctor

import (
	"context"
	"fmt"

	"github.com/gitboot/gitboot/boot/efivar"
	"github.com/gitboot/gitboot/boot/secureboot"
	"github.com/gitboot/gitboot/boot/uki"
	"github.com/gitboot/gitboot/reconciler/secured"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

// checkSecureBoot asks whether what is staged starts while the firmware starts only what
// is signed: signed programs by its own keys, and kernels of which GRUB asks a shim.
func checkSecureBoot(_ context.Context, v *visit) []Finding {
	vars := v.variables()
	if vars.Check() != nil {
		return skip("this machine was not started by UEFI, or does not show its variables")
	}
	is, err := secureboot.ReadFirmware(vars)
	switch {
	case err != nil:
		return warn(fmt.Sprintf("whether Secure Boot is on is not known: %v", err), "")
	case !is.On:
		return ok("it is off")
	}
	doc, st, skipped := v.staged()
	if skipped != nil {
		return skipped
	}
	if doc.SecureBoot && v.r != nil {
		book := v.r.Machine.Book
		return checkStarted(secured.Machine{Keys: secureboot.Folder(book.SigningKeys), Boot: book.Folder, Stage: st.Dir(), Variables: vars}.Look())
	}
	return checkSignatures(st, doc)
}

// variables are the firmware's.
func (v *visit) variables() efivar.Folder {
	if v.Variables != "" {
		return v.Variables
	}
	return efivar.System
}

// checkStarted looks at what the firmware and systemd-boot start.
func checkStarted(found secured.Status) (out []Finding) {
	if found.Unfound != nil {
		return warn(fmt.Sprintf("Secure Boot is on, and what it starts was not found: %v", found.Unfound), "")
	}
	for _, p := range found.Programs {
		if p.By == "" {
			out = append(out, fail(fmt.Sprintf("Secure Boot is on, and does not start %s: %s", p.Path, p.Wrong),
				"sign boot loaders with `gitboot keys sign`; entries are signed at the next reconcile")...)
		}
	}
	if len(out) > 0 {
		return out
	}
	return ok("Secure Boot is on, and trusts all %d programs that boot", len(found.Programs))
}

// checkSignatures looks at the kernel of the newest generation of each image.
func checkSignatures(st *stage.Stage, doc *state.Machine) (out []Finding) {
	for _, name := range doc.MenuOrder() {
		if g := doc.Images[name].Newest(); g != nil {
			for _, f := range checkSignature(st, g) {
				f.Subject = name
				out = append(out, f)
			}
		}
	}
	return out
}

func checkSignature(st *stage.Stage, g *state.Generation) []Finding {
	m, err := st.Deployment(g.Deployment)
	if err != nil {
		return skip("generation %d has no readable manifest", g.N)
	}
	signed, err := uki.Signed(st.ObjectPath(m.Kernel))
	if err != nil || !signed {
		return fail(fmt.Sprintf("Secure Boot is on, and the kernel of generation %d is not signed", g.N),
			"use a kernel that the firmware's shim trusts, as the distribution's signed package has it, or switch Secure Boot off")
	}
	return ok("Secure Boot is on, and the kernel of generation %d is signed; whose key the shim trusts is not looked at", g.N)
}
