package script

import (
	"context"
	"path/filepath"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gitboot/gitboot/tests/lab"
)

// cosign is built once for all scripts.
var cosign = sync.OnceValues(func() (string, error) { return lab.Cosign(context.Background()) })

// signer NAME
func cmdSigner(ts *testscript.TestScript, args []string) error {
	program, err := cosign()
	if err != nil {
		return err
	}
	_, err = lab.NewSigner(context.Background(), program, ts.MkAbs(args[0]))
	return err
}

// sign NAME FORM IMAGE
func cmdSign(ts *testscript.TestScript, args []string) error {
	program, err := cosign()
	if err != nil {
		return err
	}
	s := lab.OpenSigner(program, ts.MkAbs(filepath.Clean(args[0])))
	return s.Sign(context.Background(), args[1], ts.Getenv("REGISTRY")+"/"+args[2])
}
