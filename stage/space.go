package stage

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/progress"
)

// A NoSpaceError says that the stage's file system is too full.
type NoSpaceError struct {
	Dir string
	// Need is what the work wants to write, Free what can be written without
	// touching the reserve, and Collectable what collecting garbage would free;
	// all in bytes. Need may be an estimate; it is 0 where a write has failed of which
	// nobody knows how much it wanted.
	Need, Free, Collectable int64
	// NoInodes says that no file can be made, whatever is free.
	NoInodes bool
}

func (e *NoSpaceError) Error() string {
	remedy := "nothing there is garbage: keep fewer generations, remove a deployment or enlarge the file system"
	if e.Collectable > 0 {
		remedy = fmt.Sprintf("`gitboot stage gc` would free %s", progress.Bytes(e.Collectable))
	}
	if e.NoInodes {
		return fmt.Sprintf("the file system of the stage %s has no inodes left, so that no file can be made there: remove files, or make it anew with more of them; %s", e.Dir, remedy)
	}
	switch {
	case e.Need > 0:
	case e.Free > 0: // as what did not fit has been removed
		return fmt.Sprintf("the stage %s had no room for a file, and has %s free: it was larger than that, or inodes or a quota were used up; %s", e.Dir, progress.Bytes(e.Free), remedy)
	default:
		return fmt.Sprintf("the stage %s has no space left; %s", e.Dir, remedy)
	}
	return fmt.Sprintf("the stage %s has too little space: %s needed, %s free, %s missing; %s",
		e.Dir, progress.Bytes(e.Need), progress.Bytes(e.Free), progress.Bytes(max(e.Need-e.Free, 1)), remedy)
}

// Unwrap makes errors.Is(err, syscall.ENOSPC) true.
func (e *NoSpaceError) Unwrap() error { return syscall.ENOSPC }

// HasRoom checks that need bytes can be written and the reserve stays free; it
// is called before work begins, and returns a *NoSpaceError if they cannot.
func (s *Stage) HasRoom(need int64) error {
	free, err := durable.Room(s.Dir(), s.Reserve)
	if err != nil {
		return err
	}
	if need <= free {
		return nil
	}
	return noSpace(s, need, free)
}

func noSpace(s *Stage, need, free int64) error {
	garbage, err := s.Collect(context.Background(), true)
	if err != nil {
		s.log().Debug("how much can be collected is not known", "error", err)
	}
	return &NoSpaceError{Dir: s.Dir(), Need: need, Free: free, Collectable: garbage.Bytes, NoInodes: durable.NoInodes(s.Dir())}
}

// Failed adds what to do to an error of a disk that is full or fails, met while
// something was done with the stage. Errors of other files are told as theirs.
func Failed(s *Stage, err error) error {
	if file, met := durable.Met(err); met && durable.Below(s.Dir(), file) {
		err = s.full(err, 0)
	}
	return durable.Failing(s.Dir(), err)
}

// Full turns the error of a full file system, met while something was written below
// the stage, into a *NoSpaceError.
func Full(s *Stage, err error) error { return s.full(err, 0) }

// full turns the error of a full file system into a *NoSpaceError; need is
// what the work at least wanted, 0 if that is not known. Other errors are returned as they are.
func (s *Stage) full(err error, need int64) error {
	var known *NoSpaceError
	if errors.As(err, &known) || !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	free, ferr := durable.Room(s.Dir(), s.Reserve)
	if ferr != nil {
		return errors.Join(err, ferr)
	}
	if need > 0 {
		need = max(need, free+1)
	}
	return fmt.Errorf("%w (%v)", noSpace(s, need, free), err)
}

// Unwritable says why nothing can be written on the stage, nil if something can. No run
// can note that it failed there.
func Unwritable(s *Stage) error {
	if durable.Full(s.Dir()) {
		return noSpace(s, 0, 0)
	}
	return nil
}
