// Package lending has what boots be signed elsewhere: who has the key publishes
// signatures beside the images, and a machine that has the certificate alone takes those
// of the programs that it makes itself.
//
// Who signs has made the same programs before, of the same config repo, so that a
// machine is never asked what it would like to have signed. What it makes differs as
// soon as anything does that boots: image, hooks, kernel arguments, where the stage
// lies, or gitboot's process 1. Then there is no signature, and what boots stays.
package lending

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/boot/presigned"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// document is where the signature of a program lies that boots an image.
func document(want spec.Image, body string) (image.Document, error) {
	if want.Pull == nil {
		return image.Document{}, fmt.Errorf("signatures lie beside images in registries, and image %s does not come from one", want.Name)
	}
	return image.Document{Ref: want.Pull.Ref, Tag: presigned.Tag(body), Type: presigned.Type}, nil
}

// folder keeps what a machine has got.
func folder(st *stage.Stage) presigned.Folder {
	return presigned.Folder(filepath.Join(st.Dir(), stage.SignedDir))
}

// get is what was published of a program that boots an image, nil if nothing is.
func get(ctx context.Context, find *origin.Finder, want spec.Image, p menu.Program) (at image.Document, got *presigned.Signature, err error) {
	if at, err = document(want, p.Body()); err != nil {
		return at, nil, err
	}
	data, found, err := image.FetchDocument(ctx, at, presigned.MaxSize, find.PullOptions(want.Pull))
	if err != nil || !found {
		return at, nil, err
	}
	s, err := presigned.Parse(data, p.Body())
	if err == nil && s.Deployment != p.Deployment {
		err = errors.New("it says that it is of another deployment")
	}
	if err != nil {
		return at, nil, unusable(at, p, err)
	}
	return at, &s, nil
}

func unusable(at image.Document, p menu.Program, err error) error {
	return fmt.Errorf("the signature %s of deployment %s: %w", at, plan.Short(p.Deployment), err)
}

// Published reports whether there is a signature of a program that boots an image. It is
// not verified.
func Published(ctx context.Context, find *origin.Finder, want spec.Image, p menu.Program) (bool, error) {
	_, got, err := get(ctx, find, want, p)
	return got != nil, err
}

// Borrow keeps on a machine's stage the signature of a program that boots an image, if
// that is to be had and is one of it.
func Borrow(ctx context.Context, find *origin.Finder, st *stage.Stage, want spec.Image, p menu.Program) error {
	at, got, err := get(ctx, find, want, p)
	switch {
	case err != nil:
		return err
	case got == nil:
		return fmt.Errorf("the signature %s of deployment %s is gone from there; have it signed again where the key is", at, plan.Short(p.Deployment))
	}
	if err := verify(ctx, st, p, *got); err != nil {
		return unusable(at, p, err)
	}
	return folder(st).Keep(*got)
}

// verify makes the program once, which fails with a signature that is not of it.
func verify(ctx context.Context, st *stage.Stage, p menu.Program, got presigned.Signature) error {
	p.Stub, p.Signature = got.Stub, got.Signature
	f, err := os.CreateTemp(st.Temp(), "program-")
	if err != nil {
		return err
	}
	return errors.Join(p.Write(ctx, f), f.Close(), os.Remove(f.Name()))
}

// Of is the signature of a program that was made and signed here.
func Of(p menu.Program) (s presigned.Signature, err error) {
	s = presigned.Signature{Body: p.Body(), Deployment: p.Deployment, Stub: p.Stub}
	s.Signature, err = p.Signer.SignatureIn(p.File)
	return s, err
}

// Publish publishes it, with credentials from a file, "" for those by which the image is
// pulled.
func Publish(ctx context.Context, find *origin.Finder, want spec.Image, p menu.Program, credentials string) (at image.Document, err error) {
	if at, err = document(want, p.Body()); err != nil {
		return at, err
	}
	s, err := Of(p)
	if err != nil {
		return at, err
	}
	data, err := s.Encode()
	if err != nil {
		return at, err
	}
	opts := find.PullOptions(want.Pull)
	if credentials != "" {
		opts.CredentialsFile = credentials
	}
	return at, image.PublishDocument(ctx, at, data, opts)
}

// Settle drops what was borrowed for deployments that are gone.
func Settle(st *stage.Stage) error {
	ids, err := st.Deployments()
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, id := range ids {
		there[id] = true
	}
	return folder(st).Drop(func(id string) bool { return there[id] })
}
