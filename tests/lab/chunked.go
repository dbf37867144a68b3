package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Chunked makes a zstd:chunked layer of a tar, with the library of Podman and Skopeo, and
// puts it beside the tar. It must run inside gitboot's own source tree.
func Chunked(ctx context.Context, tar string) (Layer, error) {
	program, err := buildTool(ctx, "chunked", ".")
	if err != nil {
		return Layer{}, fmt.Errorf("build the program that makes zstd:chunked layers: %w", err)
	}
	l := Layer{Path: tar, Packed: tar + ".chunked"}
	in, err := os.Open(tar)
	if err != nil {
		return l, err
	}
	defer in.Close()
	out, err := os.Create(l.Packed)
	if err != nil {
		return l, err
	}
	told, err := chunk(ctx, program, out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return l, err
	}
	return l, json.Unmarshal(told, &l.Annotations)
}

// chunk returns the annotations of the layer that it writes.
func chunk(ctx context.Context, program string, blob *os.File, tar io.Reader) ([]byte, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.CommandContext(ctx, program)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tar, blob, os.Stderr
	cmd.ExtraFiles = []*os.File{w}
	err = cmd.Start()
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	told, err := io.ReadAll(r)
	return told, errors.Join(err, cmd.Wait())
}
