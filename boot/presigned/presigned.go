// Package presigned is the form in which signatures of what boots go from who has the
// key to machines that have its certificate alone, and keeps those that a machine has
// got.
//
// A machine makes each of its programs (package uki) by itself, and gets nothing of it
// but the signature, and the stub, which is part of what was signed. So what is got says
// nothing of what boots: a signature of anything else is of no use.
//
//	signed/<body>.json    on the stage: what was got for the program with this body
package presigned

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gitboot/gitboot/boot/uki"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
)

const (
	// Type is the media type of what is published.
	Type = "application/vnd.gitboot.signature.v1+json"
	// MaxSize is how large it may be, in bytes: of a stub and a signature, in base64.
	MaxSize = (uki.MaxStub+maxSignature)*4/3 + 4096

	version      = 1
	maxSignature = 64 << 10
)

// A Signature is one of a machine's program.
type Signature struct {
	Version int `json:"version"`
	// Body says of which (uki.Image.Body), and Deployment what it boots.
	Body       string `json:"body"`
	Deployment string `json:"deployment"`
	// Stub is what it begins with, and Signature the SignedData of the whole.
	Stub      []byte `json:"stub"`
	Signature []byte `json:"signature"`
}

// Tag is how what is published of a program is called in a repository.
func Tag(body string) string { return "gitboot-signature-" + body }

// File is how what was got for a program is called in its folder.
func File(body string) string { return body + ".json" }

// Encode writes one: the same as the same bytes.
func (s Signature) Encode() ([]byte, error) {
	s.Version = version
	if err := s.check(s.Body); err != nil {
		return nil, err
	}
	return json.Marshal(s)
}

// Parse reads the signature of a program.
func Parse(data []byte, body string) (s Signature, err error) {
	if len(data) > MaxSize {
		return s, fmt.Errorf("it is larger than %d bytes", MaxSize)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("it cannot be read: %w", err)
	}
	return s, s.check(body)
}

func (s Signature) check(body string) error {
	switch {
	case s.Version != version:
		return fmt.Errorf("it has the form %d, and this gitboot knows %d", s.Version, version)
	case s.Body != body || !deployment.IsHash(s.Body) || !deployment.IsHash(s.Deployment):
		return errors.New("it is of another program")
	case len(s.Stub) == 0 || len(s.Stub) > uki.MaxStub:
		return errors.New("it has no stub that could be one")
	case len(s.Signature) == 0 || len(s.Signature) > maxSignature:
		return errors.New("it has no signature that could be one")
	}
	return nil
}

// A Folder keeps those that a machine has got.
type Folder string

func (f Folder) file(body string) string { return filepath.Join(string(f), File(body)) }

// Find is what was got for a program, nil if nothing was.
func (f Folder) Find(body string) (*Signature, error) {
	in, err := os.Open(f.file(body))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, MaxSize+1))
	if err != nil {
		return nil, err
	}
	s, err := Parse(data, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; remove it, and it is got again", in.Name(), err)
	}
	return &s, nil
}

// Keep keeps one.
func (f Folder) Keep(s Signature) error {
	data, err := s.Encode()
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(string(f), 0o700); err != nil {
		return err
	}
	return durable.WriteFile(f.file(s.Body), data, 0o600)
}

// Drop removes those of deployments that do not stay.
func (f Folder) Drop(stays func(deployment string) bool) error {
	all, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range all {
		body, ours := strings.CutSuffix(e.Name(), ".json")
		if !ours || !deployment.IsHash(body) {
			continue
		}
		s, rerr := f.Find(body)
		if rerr == nil && stays(s.Deployment) {
			continue
		}
		err = errors.Join(err, durable.Remove(f.file(body))) // what cannot be read is of no use either
	}
	return err
}
