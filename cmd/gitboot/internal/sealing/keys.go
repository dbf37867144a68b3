package sealing

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/secret"
	"github.com/gitboot/gitboot/secret/keyring"
	"github.com/gitboot/gitboot/secret/worktree"
	"github.com/gitboot/gitboot/stage"
)

func keyringOf(cfg reconciler.Config) keyring.Keyring {
	return keyring.Keyring{File: cfg.IdentityFile, Kept: stage.Layout(cfg.Stage).Secrets()}
}

// identityFlag is for commands that open secrets.
func identityFlag(c *cobra.Command) *[]string {
	return c.Flags().StringArrayP("identity", "i", nil, "`FILE` of an age identity or an ssh private key (default: ~/.ssh/id_ed25519, ~/.ssh/id_rsa, and this machine's own keys)")
}

// keys opens secrets with the given files of private keys, else with those that
// are usual for a person and this machine. A passphrase is asked for only if
// nothing else helps.
func (s Site) keys(c *cobra.Command, files []string) (worktree.Keys, error) {
	named := len(files) > 0
	if !named {
		cfg, err := s.Config(c)
		if err != nil {
			return nil, err
		}
		if home, err := os.UserHomeDir(); err == nil {
			files = append(files, filepath.Join(home, ".ssh/id_ed25519"), filepath.Join(home, ".ssh/id_rsa"))
		}
		files = append(files, keyringOf(cfg).Places()...)
	}
	var open []secret.Identity
	var locked []string
	for _, file := range files {
		ids, err := keyring.Read(file, nil)
		switch {
		case err == nil:
			open = append(open, ids...)
		case errors.As(err, new(*secret.LockedError)):
			locked = append(locked, file)
		case named || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
			return nil, &usage.Error{Err: err}
		}
	}
	return func(sealed []byte) ([]byte, error) {
		plain, err := secret.Open(sealed, open)
		for errors.Is(err, secret.ErrNotForUs) && len(locked) > 0 {
			ids, asked := keyring.Read(locked[0], ask)
			if asked != nil {
				return nil, asked
			}
			open, locked = append(open, ids...), locked[1:]
			plain, err = secret.Open(sealed, open)
		}
		return plain, err
	}, nil
}

// IdentitiesFlag is for commands that make what another machine boots.
func IdentitiesFlag(c *cobra.Command) *[]string {
	return c.Flags().StringArrayP("identity", "i", nil, "`FILE` of an age identity or an ssh private key that opens the machine's secrets; its own is kept on the disk, another is not (default: what --stage keeps, and this computer's keys)")
}

// Identities reads files of private keys, and asks for their passphrases.
func Identities(files []string) (keys []keyring.Key, err error) {
	for _, file := range files {
		ids, err := keyring.Read(file, ask)
		if err != nil {
			return nil, &usage.Error{Err: err}
		}
		for _, id := range ids {
			keys = append(keys, keyring.Key{Identity: id, File: file})
		}
	}
	return keys, nil
}

// ask asks for a passphrase on the terminal, wherever standard input and output
// lead.
func ask(file string) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("there is no terminal to ask for the passphrase on: %w", err)
	}
	defer tty.Close()
	fmt.Fprintf(tty, "passphrase of %s: ", file)
	defer fmt.Fprintln(tty)
	return term.ReadPassword(int(tty.Fd()))
}

type keyJSON struct {
	Machine string `json:"machine"`
	Key     string `json:"key"`
	File    string `json:"file"`
}

func newKey(s Site) *cobra.Command {
	var create bool
	c := &cobra.Command{
		Use: "key", Short: "Print this machine's public key, ready for the config repo", Args: usage.NoArgs,
		Long: `key prints the public key to which this machine's secrets are to be encrypted:
that of identity_file in agent.toml; if there is none, of the identity or the ssh
host keys that the stage keeps, else of /etc/ssh/ssh_host_ed25519_key.

A system that boots statelessly has an ssh host key of its own only if a hook keeps
it there. --create makes an identity on the stage, which is the same whatever boots,
unless that keeps one or agent.toml names one.`,
		Example: "  gitboot secret key\n  gitboot secret key --create --machine laptop >> ~/fleet/machines/laptop.toml",
	}
	c.Flags().BoolVar(&create, "create", false, "make an identity if the stage keeps none")
	c.Flags().BoolVar(s.Wait, "wait", false, "with --create: wait for another run to finish instead of failing")
	asJSON := c.Flags().Bool("json", false, "print JSON with stable fields")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := s.Config(c)
		if err != nil {
			return err
		}
		keys, err := keyringOf(cfg).Keys()
		if create && (!keyringOf(cfg).Lasts(keys) || errors.Is(err, fs.ErrNotExist)) {
			keys, err = s.newKey(c)
		}
		switch {
		case err != nil:
			return err
		case len(keys) == 0:
			return fmt.Errorf("this machine has no private key: neither %s nor an ssh host key is there; --create makes one", keyringOf(cfg).Own())
		case *asJSON:
			return screen.JSON(c.OutOrStdout(), keyJSON{cfg.Machine, keys[0].String(), keys[0].File})
		}
		return tellKey(c.OutOrStdout(), cfg.Machine, keys[0])
	}
	return c
}

func (s Site) newKey(c *cobra.Command) ([]keyring.Key, error) {
	r, err := s.Create(c)
	if err != nil {
		return nil, err
	}
	return r.Machine.NewKey(c.Context(), *s.Wait)
}

func tellKey(w io.Writer, machine string, key keyring.Key) error {
	_, err := fmt.Fprintf(w, "[machine.%s]\nkey = %q # %s\n", machine, key, key.File)
	return err
}
