package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/boot/grub/env"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
)

// markTries is how often a block is written that others replace meanwhile.
const markTries = 3

// read is the block in a file, an empty one if a boot loader could read none either.
func read(file string) *env.Block {
	if data, err := os.ReadFile(file); err == nil {
		if b, err := env.Parse(data); err == nil {
			return b
		}
	}
	return new(env.Block)
}

// askOnce has the block in a file ask for an entry at the next boot, and at that alone.
func askOnce(file, entry string) error {
	vars := read(file)
	if err := vars.Set(deployment.BlockOnce, entry); err != nil {
		return err
	}
	data, err := vars.Marshal()
	if err == nil {
		err = writeInPlace(file, data)
	}
	if err != nil {
		return fmt.Errorf("asking the boot loader for another entry: %w", err)
	}
	return nil
}

// markGood has the block in a file say that an entry is good. Of one that counts
// another entry, that is nobody's business.
func markGood(file, entry string) error {
	for range markTries {
		vars := read(file)
		if trying, _ := vars.Get(deployment.BlockTrying); trying != "" && trying != entry {
			return nil
		}
		if good, _ := vars.Get(deployment.BlockGood); good == entry {
			return nil
		}
		if err := vars.Set(deployment.BlockGood, entry); err != nil {
			return err
		}
		data, err := vars.Marshal()
		if err != nil {
			return fmt.Errorf("marking the entry good: %w", err)
		}
		if err := writeInPlace(file, data); err != nil {
			return fmt.Errorf("marking the entry good: %w", err)
		}
	}
	return fmt.Errorf("marking the entry good: %s does not stay as it was written", file)
}

// writeInPlace leaves the file where it is on the disk, so that a boot loader
// that replays no journal finds what was written.
func writeInPlace(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Truncate(int64(len(data)))
	}
	return errors.Join(err, f.Sync(), f.Close(), durable.SyncDir(filepath.Dir(file)))
}
