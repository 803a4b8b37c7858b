package image

import (
	"errors"
	"flag"
	"path/filepath"
	"strings"
)

// Usage tells the arguments of Command.
const Usage = "--out FILE --tag NAME:TAG [--entrypoint PATH] [--user N] PROGRAM..."

// Command is the command line of the image writer.
func Command(arguments []string) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	out := flags.String("out", "", "the tar to write")
	tag := flags.String("tag", "", "the image's name, with registry and tag")
	entrypoint := flags.String("entrypoint", "", "what it runs, words separated by commas; the first program if left out")
	user := flags.Int("user", 65532, "the user and group that it runs as")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *out == "" || *tag == "" || flags.NArg() == 0 {
		return errors.New("usage: " + Usage)
	}
	spec := Spec{Name: *tag, Programs: flags.Args(), User: *user, Entrypoint: []string{"/bin/" + filepath.Base(flags.Arg(0))}}
	if *entrypoint != "" {
		spec.Entrypoint = strings.Split(*entrypoint, ",")
	}
	return Write(*out, spec)
}
