/**
 * Generates shell completions from the table of commands.
 *
 * @module
 */

import type { Flag } from "./flags.ts";
import { COMMANDS } from "./help.ts";
import { quote, UsageError } from "./values.ts";

const SHELLS = "bash zsh fish";
const SCRIPTS: Record<string, () => string> = { bash, zsh, fish };

/**
 * Returns the completion script for a shell.
 *
 * @param args The shell's name.
 * @throws {UsageError} Unless there is exactly one known shell.
 */
export function completionScript(args: readonly string[]): string {
  const [shell] = args;
  if (args.length === 1 && Object.hasOwn(SCRIPTS, shell)) return SCRIPTS[shell]();
  throw new UsageError(`completions takes one shell, bash, zsh or fish, saw ${quote(args.join(" "))}`);
}

function argumentsOf(command: string, flags: readonly Flag[]): string {
  return [...flags.map(({ name }) => `--${name}`), ...command === "completions" ? [SHELLS] : []].join(" ");
}

function bash(): string {
  const names = COMMANDS.map(({ name }) => name).join(" ");
  const values = new Map<string, string>();
  for (const { name, choices, file } of COMMANDS.flatMap(({ flags }) => flags)) {
    if (choices !== undefined) values.set(name, `COMPREPLY=($(compgen -W "${choices.join(" ")}" -- "$word"))`);
    else if (file !== undefined) values.set(name, `COMPREPLY=($(compgen -f -- "$word"))`);
  }
  return `\
_wiretable() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W "${names} --help --version" -- "$word"))
    return
  fi
  case $before in
${[...values].map(([name, reply]) => `    --${name}) ${reply}; return ;;\n`).join("")}  esac
  case \${COMP_WORDS[1]} in
${
    COMMANDS.map(({ name, flags }) =>
      `    ${name}) COMPREPLY=($(compgen -W "${argumentsOf(name, flags)}" -- "$word")) ;;\n`
    ).join("")
  }  esac
}
complete -o default -F _wiretable wiretable
`;
}

function zsh(): string {
  const text = (help: string) => help.replaceAll("'", "'\\''").replace(/[[\]:]/g, "\\$&");
  const flag = ({ name, value, choices, file, help }: Flag) => {
    const action = choices !== undefined ? `(${choices.join(" ")})` : file !== undefined ? "_files" : "";
    return `'--${name}[${text(help)}]${value === undefined ? "" : `:${value}:${action}`}'`;
  };
  return `\
#compdef wiretable
_wiretable() {
  if (( CURRENT == 2 )); then
    local -a commands=(
${COMMANDS.map(({ name, summary }) => `      '${name}:${text(summary)}'\n`).join("")}    )
    _describe command commands
    return
  fi
  case $words[2] in
${
    COMMANDS.map(({ name, flags }) =>
      `    ${name}) _arguments ${flags.map(flag).join(" ")} ${
        name === "completions" ? `'1:shell:(${SHELLS})'` : "'*:: :_files'"
      } ;;\n`
    ).join("")
  }  esac
}
compdef _wiretable wiretable
`;
}

function fish(): string {
  const text = (help: string) => `'${help.replace(/['\\]/g, "\\$&")}'`;
  const lines = ["complete -c wiretable -f"];
  for (const { name, summary, flags } of COMMANDS) {
    lines.push(`complete -c wiretable -n __fish_use_subcommand -a ${name} -d ${text(summary)}`);
    const when = `-n '__fish_seen_subcommand_from ${name}'`;
    for (const { name: flag, short, value, choices, file, help } of flags) {
      const letter = short === undefined ? "" : ` -s ${short}`;
      const takes = value === undefined ? "" : file !== undefined ? " -r -F" : ` -x -a '${choices?.join(" ") ?? ""}'`;
      lines.push(`complete -c wiretable ${when} -l ${flag}${letter}${takes} -d ${text(help)}`);
    }
    if (name === "completions") lines.push(`complete -c wiretable ${when} -a '${SHELLS}'`);
  }
  return `${lines.join("\n")}\n`;
}
