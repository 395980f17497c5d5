/** Generates shell completions from the table of commands. */

import type { Flag } from "./flags.ts";
import { type CommandHelp, COMMANDS, SHELLS } from "./help.ts";
import { quote, UsageError } from "./values.ts";

const SCRIPTS: Record<(typeof SHELLS)[number], () => string> = { bash, zsh, fish };
/** Flags that stand in the place of a command. */
const INSTEAD = [["help", "show the commands"], ["version", "print the version"]] as const;

/** Returns the completion script for the shell that the only argument names. */
export function completionScript(args: readonly string[]): string {
  const shell = SHELLS.find((name) => name === args[0]);
  if (args.length === 1 && shell !== undefined) return SCRIPTS[shell]();
  throw new UsageError(`completions takes one shell, bash, zsh or fish, saw ${quote(args.join(" "))}`);
}

/** Whether a flag always has a value. One whose value may be left out is completed as a switch. */
function takesValue({ value }: Flag): boolean {
  return value !== undefined && !value.startsWith("[");
}

/** The oldest bash that this works in is 3.2, the one of macOS, which has no `compopt`. */
function bash(): string {
  const fromWords = (words: readonly string[]) => `COMPREPLY=($(compgen -W "${words.join(" ")}" -- "$word"))`;
  const fromFiles = `local IFS=$'\\n'; compopt -o filenames 2> /dev/null; COMPREPLY=($(compgen -f -- "$word"))`;
  const values = new Map<string, string>();
  for (const flag of COMMANDS.flatMap(({ flags }) => flags)) {
    if (!takesValue(flag)) continue;
    const none = "compopt +o default 2> /dev/null";
    const reply = flag.choices !== undefined ? fromWords(flag.choices) : flag.file !== undefined ? fromFiles : none;
    const names = flag.short === undefined ? `--${flag.name}` : `--${flag.name}|-${flag.short}`;
    values.set(names, reply);
  }
  const argumentsOf = ({ flags, completes }: CommandHelp) => {
    const names = fromWords(flags.map(({ name }) => `--${name}`));
    if (completes === undefined) return names;
    return `case $word in -*) ${names} ;; *) ${completes === "files" ? fromFiles : fromWords(completes)} ;; esac`;
  };
  return `\
_wiretable() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if [ "$COMP_CWORD" = 1 ]; then
    ${fromWords([...COMMANDS.map(({ name }) => name), ...INSTEAD.map(([name]) => `--${name}`)])}
    return
  fi
  # --flag=value is three words.
  if [ "$word" = = ]; then word=
  elif [ "$before" = = ]; then before=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  case $before in
${[...values].map(([names, reply]) => `    ${names}) ${reply}; return ;;\n`).join("")}  esac
  case \${COMP_WORDS[1]} in
${COMMANDS.map((command) => `    ${command.name}) ${argumentsOf(command)} ;;\n`).join("")}  esac
}
complete -o default -F _wiretable wiretable
`;
}

function zsh(): string {
  const text = (help: string) => help.replaceAll("'", "'\\''").replace(/[[\]:]/g, "\\$&");
  const flagOf = (flag: Flag) => {
    const { name, short, value, choices, file, help } = flag;
    const action = choices !== undefined ? `(${choices.join(" ")})` : file !== undefined ? "_files" : "";
    const takes = takesValue(flag) ? `:${value}:${action}` : "";
    const long = `--${name}${takesValue(flag) ? "=" : ""}`;
    return [long, ...short === undefined ? [] : [`-${short}`]].map((name) => `'${name}[${text(help)}]${takes}'`);
  };
  const argumentsOf = ({ usage, completes }: CommandHelp) => {
    if (completes === undefined) return [];
    return [`'1:${usage.split(" ")[0]}:${completes === "files" ? "_files" : `(${completes.join(" ")})`}'`];
  };
  return `\
#compdef wiretable
_wiretable() {
  if (( CURRENT == 2 )); then
    local -a commands=(
${COMMANDS.map(({ name, summary }) => `      '${name}:${text(summary)}'\n`).join("")}\
${INSTEAD.map(([name, help]) => `      '--${name}:${help}'\n`).join("")}    )
    _describe command commands
    return
  fi
  # The command takes the place of the program's name.
  shift words
  (( CURRENT-- ))
  case $words[1] in
${
    COMMANDS.map((command) =>
      `    ${command.name}) _arguments ${[...command.flags.flatMap(flagOf), ...argumentsOf(command)].join(" ")} ;;\n`
    ).join("")
  }  esac
}
compdef _wiretable wiretable
`;
}

function fish(): string {
  const text = (help: string) => `'${help.replace(/['\\]/g, "\\$&")}'`;
  const lines = ["complete -c wiretable -f"];
  for (const [name, help] of INSTEAD) {
    lines.push(`complete -c wiretable -n __fish_use_subcommand -l ${name} -d ${text(help)}`);
  }
  for (const { name, summary, flags, completes } of COMMANDS) {
    lines.push(`complete -c wiretable -n __fish_use_subcommand -a ${name} -d ${text(summary)}`);
    const when = `-n '__fish_seen_subcommand_from ${name}'`;
    for (const flag of flags) {
      const { name, short, choices, file, help } = flag;
      const letter = short === undefined ? "" : ` -s ${short}`;
      const value = file !== undefined ? " -r -F" : ` -x -a '${choices?.join(" ") ?? ""}'`;
      const takes = takesValue(flag) ? value : "";
      lines.push(`complete -c wiretable ${when} -l ${name}${letter}${takes} -d ${text(help)}`);
    }
    if (completes === "files") lines.push(`complete -c wiretable ${when} -F`);
    else if (completes !== undefined) lines.push(`complete -c wiretable ${when} -a '${completes.join(" ")}'`);
  }
  return `${lines.join("\n")}\n`;
}
