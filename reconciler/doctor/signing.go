package doctor

import (
	"cmp"
	"context"
	"fmt"

	"github.com/gitboot/gitboot/boot/secureboot"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
)

// checkSigning asks whether the keys are here that what is declared takes: to sign what
// this machine boots, or what others boot that name it, and how that went.
func checkSigning(_ context.Context, v *visit) []Finding {
	w, err := v.wants()
	if err != nil || w.Wants == nil {
		return skip("what is declared is not known")
	}
	if !w.Wants.Boot.SecureBoot && len(w.Wants.Signs) == 0 {
		return ok("nothing is to be signed here")
	}
	keys := secureboot.Folder(v.r.Machine.Book.SigningKeys)
	signer, err := keys.Signer()
	if err != nil {
		return fail(err.Error(), "")
	}
	if signer.CanSign() {
		return append(ok("%s has the key that signs", keys), v.signed(w.Wants)...)
	}
	if len(w.Wants.Signs) > 0 {
		return fail(fmt.Sprintf("%s has the certificate and not the key, and %d machines boot what this one is to sign", keys, len(w.Wants.Signs)),
			"put db.key there, or name the folder that has it with signing_keys in agent.toml")
	}
	return ok("%s has the certificate, and %s signs", keys, cmp.Or(w.Wants.Boot.SignedBy, "whoever runs `gitboot keys publish`"))
}

// signed says of each machine that names this one how far that is.
func (v *visit) signed(w *spec.Wants) (out []Finding) {
	for _, name := range w.Signs {
		found := ok("nothing of what it boots was signed yet")
		s, err := state.LoadSigning(v.Config.Stage, name)
		switch {
		case err != nil:
			found = fail(err.Error(), "")
		case s.Failure != nil:
			found = fail(fmt.Sprintf("what it boots has not been signed since %s: %s", s.Failure.Since.Local().Format("2006-01-02 15:04"), s.Failure.Message), "")
		case s.Revision != "":
			found = ok("what it boots is signed, at revision %s", plan.Short(s.Revision))
		}
		for _, f := range found {
			f.Subject = name
			out = append(out, f)
		}
	}
	return out
}
