// Package block is the file in which what a boot loader remembers is kept beside the menu,
// as an environment block of GRUB's form: what GRUB reads and writes itself, and process 1
// marks good in, whichever boot loader there is.
package block

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/grub/env"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
)

// Variables besides those of package deployment: how many boots what is on trial has
// left, and what was used up before.
const (
	Left = "gitboot_left"
	Bad  = "gitboot_bad"
)

// A File is the path of one, which need not be there.
type File string

// Read reads the block; there is nothing in one that is not there.
func (f File) Read() (boot.Memory, error) {
	vars, err := f.read()
	if err != nil {
		return boot.Memory{}, err
	}
	return memory(vars), nil
}

func (f File) read() (*env.Block, error) {
	data, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return new(env.Block), nil
	}
	if err != nil {
		return nil, err
	}
	vars, err := env.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w; remove the file", string(f), err)
	}
	return vars, nil
}

// memory is what a block says.
func memory(vars *env.Block) (m boot.Memory) {
	m.Once, _ = vars.Get(deployment.BlockOnce)
	m.Trying, _ = vars.Get(deployment.BlockTrying)
	m.Good, _ = vars.Get(deployment.BlockGood)
	m.Bad, _ = vars.Get(Bad)
	left, _ := vars.Get(Left)
	if n, err := strconv.Atoi(left); err == nil && n >= 0 && n <= boot.MaxTries && left == strconv.Itoa(n) {
		m.Left = n
	}
	return m
}

// Change replaces the block, if that says something else then.
func (f File) Change(do func(*boot.Memory)) error {
	vars, err := f.read()
	if err != nil {
		vars = new(env.Block) // no boot loader could read it either
	}
	is := memory(vars)
	was := is
	if do(&is); err == nil && is == was {
		return nil
	}
	data, err := written(vars, is)
	if err != nil {
		return fmt.Errorf("write %s: %w", string(f), err)
	}
	if err := durable.MkdirAll(filepath.Dir(string(f)), 0o700); err != nil {
		return err
	}
	return durable.WriteSettled(string(f), data, 0o600)
}

// written is the file of a block that says this.
func written(vars *env.Block, m boot.Memory) ([]byte, error) {
	left := ""
	if m.Trying != "" {
		left = strconv.Itoa(m.Left)
	}
	for _, v := range []struct{ name, value string }{
		{deployment.BlockOnce, m.Once}, {deployment.BlockTrying, m.Trying}, {Left, left}, {deployment.BlockGood, m.Good}, {Bad, m.Bad},
	} {
		if v.value == "" {
			vars.Unset(v.name)
		} else if err := vars.Set(v.name, v.value); err != nil {
			return nil, err
		}
	}
	return vars.Marshal()
}
