package diskimage

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/stage"
)

// Where else what is written could go: the file, and what is needed meanwhile.
const (
	elsewhere     = "name a file elsewhere"
	tempElsewhere = "name another folder with TMPDIR"
)

// room refuses a folder without room for what is copied.
func (p *Plan) room(dir, or string) error {
	free, err := durable.FreeSpace(dir)
	if err != nil {
		return err
	}
	if need := p.Bytes() + 32<<20; free < need {
		return &fullError{fmt.Errorf("%s are free there, and it takes %s", progress.Bytes(free), progress.Bytes(need)), dir, or}
	}
	return nil
}

// A fullError is one of a folder without room.
type fullError struct {
	err     error
	dir, or string
}

func (e *fullError) Error() string {
	return fmt.Sprintf("%v; make room in %s, or %s", e.err, e.dir, e.or)
}

func (e *fullError) Unwrap() error { return e.err }

// explained adds what to do to an error of a disk that is full or fails, met while
// something was written in a folder.
func explained(dir, or string, err error) error {
	switch {
	case errors.As(err, new(*fullError)):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &fullError{err, dir, or}
	}
	return durable.Failing(dir, err)
}

// inTemp is explained of what is needed until the disk is made. A stage that stays
// has an error of its own.
func inTemp(temp string, err error) error {
	if full := (*stage.NoSpaceError)(nil); errors.As(err, &full) {
		if !durable.Below(temp, full.Dir) {
			return err
		}
		err = fmt.Errorf("stage what the disk holds: %s needed, %s free: %w", progress.Bytes(full.Need), progress.Bytes(full.Free), syscall.ENOSPC)
	}
	return explained(filepath.Dir(temp), tempElsewhere, err)
}

// inFile is explained of the file, and of what it is made from.
func (p *Plan) inFile(path string, err error) error {
	if file, met := durable.Met(err); met && durable.Below(p.temp, file) {
		return inTemp(p.temp, err)
	}
	if dir, failed := filepath.Abs(filepath.Dir(path)); failed == nil {
		return explained(dir, elsewhere, err)
	}
	return err
}
