package sealing

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/secret"
	"github.com/gitboot/gitboot/secret/worktree"
	"github.com/gitboot/gitboot/spec"
)

func newEncrypt(s Site) *cobra.Command {
	c := &cobra.Command{
		Use: "encrypt NAME [FILE]", Short: "Encrypt what a file or standard input says as a secret", Args: usage.Args(cobra.RangeArgs(1, 2)), ValidArgsFunction: s.names(false),
		Long: `encrypt writes the file of [secret.NAME], encrypted to the keys of its machines and
recipients, and replaces the one that is there. It reads FILE, or standard input
without one or with -; a terminal is asked for one line, which it does not show.
Nothing needs to be opened, so no private key is needed. Commit the file then.`,
		Example: "  gitboot secret encrypt wifi\n  gitboot secret encrypt vpn-key /root/wg0.key\n  pwgen 32 1 | gitboot secret encrypt database -",
	}
	c.RunE = func(c *cobra.Command, given []string) error {
		t, found, err := s.found(c, given[0])
		if err != nil {
			return err
		}
		defer t.Close()
		plain, err := readPlain(c, given[1:])
		if err != nil {
			return fmt.Errorf("read what %q is to say: %w", found.Name, err)
		}
		defer secret.Wipe(plain)
		if err := t.Seal(found, plain); err != nil {
			return err
		}
		return tellSealed(c.OutOrStdout(), "encrypted", found)
	}
	return c
}

// readPlain reads a file, standard input, or a line of the terminal.
func readPlain(c *cobra.Command, file []string) ([]byte, error) {
	if len(file) > 0 && file[0] != "-" {
		f, err := os.Open(file[0])
		if err != nil {
			return nil, &usage.Error{Err: err}
		}
		defer f.Close()
		return worktree.ReadPlain(ctxio.Reader(c.Context(), f))
	}
	if in, ok := c.InOrStdin().(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		fmt.Fprint(c.ErrOrStderr(), "secret: ")
		defer fmt.Fprintln(c.ErrOrStderr())
		return term.ReadPassword(int(in.Fd()))
	}
	in := ctxio.Detached(c.Context(), func() (io.ReadCloser, error) { return io.NopCloser(c.InOrStdin()), nil })
	defer in.Close()
	return worktree.ReadPlain(in)
}

func tellSealed(w io.Writer, what string, s spec.Secret) error {
	who := screen.Count(len(s.Machines), "machine")
	if s.Others > 0 {
		who += " and " + screen.Count(s.Others, "other key")
	}
	_, err := fmt.Fprintf(w, "%s %s for %s: %s\n", what, s.Name, who, s.File)
	return err
}

func newEdit(s Site) *cobra.Command {
	c := &cobra.Command{
		Use: "edit NAME", Short: "Change a secret in an editor", Args: usage.Args(cobra.ExactArgs(1)), ValidArgsFunction: s.names(false),
		Long: `edit opens a secret with a private key of yours, has $VISUAL or $EDITOR change it,
and encrypts it again if it was changed. Meanwhile it lies in a file that only you
can read, in memory, and that is removed whatever happens. A secret without a file
begins empty.`,
		Example: "  gitboot secret edit wifi\n  EDITOR=nano gitboot secret edit vpn-key -i ~/keys/admin.txt",
	}
	files := identityFlag(c)
	c.RunE = func(c *cobra.Command, given []string) error {
		t, found, err := s.found(c, given[0])
		if err != nil {
			return err
		}
		defer t.Close()
		plain, err := s.present(c, t, found, *files)
		if err != nil {
			return err
		}
		defer secret.Wipe(plain)
		changed, err := worktree.Edit(c.Context(), found, plain, editor())
		if errors.Is(err, worktree.ErrUnchanged) {
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is as it was\n", found.Name)
			return err
		}
		if err != nil {
			return fmt.Errorf("edit secret %q: %w", found.Name, err)
		}
		defer secret.Wipe(changed)
		if err := t.Seal(found, changed); err != nil {
			return err
		}
		return tellSealed(c.OutOrStdout(), "encrypted", found)
	}
	return c
}

// present is what a secret says now, nothing if it has no file.
func (s Site) present(c *cobra.Command, t *worktree.Tree, found spec.Secret, files []string) ([]byte, error) {
	keys, err := s.keys(c, files)
	if err != nil {
		return nil, err
	}
	plain, err := t.Read(found, keys)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return plain, err
}

func editor() []string {
	return strings.Fields(cmp.Or(strings.TrimSpace(os.Getenv("VISUAL")), strings.TrimSpace(os.Getenv("EDITOR")), "vi"))
}

func newDecrypt(s Site) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "decrypt NAME", Short: "Print what a secret says", Args: usage.Args(cobra.ExactArgs(1)), ValidArgsFunction: s.names(false),
		Long:    "decrypt opens a secret with a private key of yours, or of this machine, and prints it\nas it is. A file that is written with -o is yours alone to read.",
		Example: "  gitboot secret decrypt wifi\n  sudo gitboot secret decrypt vpn-key -o /root/wg0.key",
	}
	files := identityFlag(c)
	c.Flags().StringVarP(&out, "output", "o", "-", "file to write, - for standard output")
	c.RunE = func(c *cobra.Command, given []string) error {
		t, found, err := s.found(c, given[0])
		if err != nil {
			return err
		}
		defer t.Close()
		keys, err := s.keys(c, *files)
		if err != nil {
			return err
		}
		plain, err := t.Read(found, keys)
		if err != nil {
			return err
		}
		defer secret.Wipe(plain)
		if out != "-" {
			return durable.Output(out, 0o600, func(w io.Writer) error {
				_, err := w.Write(plain)
				return err
			})
		}
		_, err = screen.Document(c.OutOrStdout()).Write(plain)
		return err
	}
	return c
}

func newRekey(s Site) *cobra.Command {
	c := &cobra.Command{
		Use: "rekey [NAME...]", Short: "Encrypt secrets anew to those who should read them now", ValidArgsFunction: s.names(true),
		Long: `rekey opens secrets (all, without a name) with a private key of yours and encrypts
them to the keys that their machines and recipients have now: after a key has
changed, or who may read them. If one cannot be opened, none is written.

Who could read a secret before can read it in the repo's history: change what it
says, too, if that is to end.`,
		Example: "  gitboot secret rekey\n  gitboot secret rekey wifi vpn-key -i ~/keys/admin.txt",
	}
	files := identityFlag(c)
	c.RunE = func(c *cobra.Command, given []string) error {
		t, err := s.open(c)
		if err != nil {
			return err
		}
		defer t.Close()
		found, err := t.Find(given...)
		if err != nil {
			return &usage.Error{Err: err}
		}
		keys, err := s.keys(c, *files)
		if err != nil {
			return err
		}
		if err := t.Rekey(found, keys); err != nil {
			return err
		}
		for _, secret := range found {
			err = errors.Join(err, tellSealed(c.OutOrStdout(), "encrypted", secret))
		}
		return err
	}
	return c
}
