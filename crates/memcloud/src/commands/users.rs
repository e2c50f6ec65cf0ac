use std::path::{Path, PathBuf};

use clap::Subcommand;
use memcloud_api::console::{NewPassword, NewSignInLink, NewUser, SignInLink, User, UserChanges};
use memcloud_client::Console;
use secrecy::{ExposeSecret, SecretString};

use crate::client::connect;
use crate::commands::forget::forget_user;
use crate::commands::instances::secret_of;
use crate::commands::{Context, confirmed, day_and_time, report_done, show_list};
use crate::console_client::connect_to_console;
use crate::failure::{Exit, Failure};
use crate::output::ask_secret;
use crate::settings::{ClientFlags, ConsoleFlags};

/// Create, list, change and delete the users of a console, and sign them in
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a user; the password is read from a file, or asked for on a terminal
    Create(Create),
    /// List the users by name
    List {
        #[command(flatten)]
        console: ConsoleFlags,
    },
    /// Change the role or the password of a user; a new password ends the user's sign-ins
    Change(Change),
    /// Change your own password, which ends your other sign-ins; both are read from files, or asked for
    Password(ChangeOwn),
    /// Delete a user with its tokens and sign-ins
    Delete(Delete),
    /// Print a link that signs a user in once
    Link {
        /// The user (default: yourself)
        name: Option<String>,
        #[command(flatten)]
        console: ConsoleFlags,
    },
}

#[derive(clap::Args, Debug)]
struct Create {
    /// The name to sign in with
    name: String,
    /// What the user may do
    #[arg(long, value_enum)]
    role: Role,
    /// The file with the password, at least 12 characters (default: asked for)
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    console: ConsoleFlags,
}

#[derive(clap::Args, Debug)]
#[group(required = true, multiple = true, args = ["role", "password", "password_file"])]
struct Change {
    /// The user
    name: String,
    /// What the user may do from now on
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// Ask for a new password
    #[arg(long)]
    password: bool,
    /// The file with the new password, at least 12 characters
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    console: ConsoleFlags,
}

#[derive(clap::Args, Debug)]
struct ChangeOwn {
    /// The file with the password until now
    #[arg(long, value_name = "FILE")]
    current_password_file: Option<PathBuf>,
    /// The file with the new password, at least 12 characters
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    console: ConsoleFlags,
}

#[derive(clap::Args, Debug)]
struct Delete {
    /// The user
    name: String,
    /// Delete without asking
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    client: ClientFlags,
    /// The earlier spelling of `forget --user NAME --group GROUP`, about a person in an instance
    #[arg(long, value_name = "NAME", hide = true)]
    group: Option<String>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Role {
    /// Everything, users and the audit log as well
    Owner,
    /// See and change instances
    Member,
    /// See instances
    Viewer,
}

impl Role {
    fn name(self) -> String {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
        .to_owned()
    }
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    match args.command {
        Command::Create(new) => create(new, context).await,
        Command::List { console } => list(&console, context).await,
        Command::Change(change) => change_user(change, context).await,
        Command::Password(change) => change_own(&change, context).await,
        Command::Delete(user) => delete(user, context).await,
        Command::Link { name, console } => link(name.as_deref(), &console, context).await,
    }
}

async fn create(new: Create, context: &Context) -> Result<Exit, Failure> {
    let console = connect_to_console(&context.sources, &new.console)?;
    let typed = || ask_secret(&format!("Password of '{}' (empty for none):", new.name));
    let password = match &new.password_file {
        Some(file) => Some(secret_of(file)?),
        None => typed().filter(|typed| !typed.expose_secret().is_empty()),
    };
    let user =
        NewUser { name: new.name.clone(), role: new.role.name(), password: password.as_ref().map(exposed) };
    let created = console.create_user(&user).await?;
    Ok(report_done(&created, &format!("user '{}' created, {}", created.name, created.role), context))
}

async fn list(flags: &ConsoleFlags, context: &Context) -> Result<Exit, Failure> {
    let console = connect_to_console(&context.sources, flags)?;
    let listed = console.users().await?;
    context.output.answer(&listed, |output| show_list(&listed.users, line, "no users", output));
    Ok(Exit::Ok)
}

/// A user as one line: name, role, since when.
fn line(user: &User) -> String {
    format!("{:<16}  {:<6}  since: {}", user.name, user.role, day_and_time(&user.created_at))
}

async fn change_user(change: Change, context: &Context) -> Result<Exit, Failure> {
    let console = connect_to_console(&context.sources, &change.console)?;
    let user = user_named(&console, &change.name).await?;
    let changes_password = change.password || change.password_file.is_some();
    let password =
        changes_password.then(|| asked(change.password_file.as_deref(), "New password:")).transpose()?;
    let changes = UserChanges { role: change.role.map(Role::name), password: password.as_ref().map(exposed) };
    let changed = console.change_user(&user.id, &changes).await?;
    Ok(report_done(&changed, &format!("user '{}' changed, {}", changed.name, changed.role), context))
}

async fn change_own(change: &ChangeOwn, context: &Context) -> Result<Exit, Failure> {
    let console = connect_to_console(&context.sources, &change.console)?;
    let current = asked(change.current_password_file.as_deref(), "Your password until now:")?;
    let password = asked(change.password_file.as_deref(), "New password:")?;
    let new = NewPassword { current: exposed(&current), password: exposed(&password) };
    let changed = console.change_password(&new).await?;
    Ok(report_done(&changed, &format!("the password of '{}' is changed", changed.name), context))
}

/// The password in a file, or the one that is typed.
fn asked(file: Option<&Path>, question: &str) -> Result<SecretString, Failure> {
    let no_terminal =
        || Failure::usage("there is no terminal to ask for a password", "name the files with the passwords");
    match file {
        Some(file) => secret_of(file),
        None => ask_secret(question).ok_or_else(no_terminal),
    }
}

async fn delete(user: Delete, context: &Context) -> Result<Exit, Failure> {
    if let Some(group) = &user.group {
        let client = connect(&context.sources, &user.client).await?;
        return forget_user(&client, &user.name, group, user.yes, context).await;
    }
    let console = connect_to_console(&context.sources, &user.client.console)?;
    let found = user_named(&console, &user.name).await?;
    let question = format!("Delete the user '{}' with all tokens and sign-ins?", found.name);
    if !user.yes && !confirmed(&question, "a user", context)? {
        return Ok(Exit::Failed);
    }
    console.remove_user(&found.id).await?;
    Ok(report_done(&found, &format!("user '{}' deleted", found.name), context))
}

async fn link(name: Option<&str>, flags: &ConsoleFlags, context: &Context) -> Result<Exit, Failure> {
    let console = connect_to_console(&context.sources, flags)?;
    let user = match name {
        Some(name) => Some(user_named(&console, name).await?.id),
        None => None,
    };
    let link = console.sign_in_link(&NewSignInLink { user }).await?;
    context.output.answer(&link, |_| show_link(&link, context));
    Ok(Exit::Ok)
}

/// Prints a link, and until when it works.
pub(crate) fn show_link(link: &SignInLink, context: &Context) {
    context.output.data(&link.sign_in);
    context.output.say(format!("it signs in once, until {}", day_and_time(&link.expires_at)));
}

async fn user_named(console: &Console, name: &str) -> Result<User, Failure> {
    let users = console.users().await?.users;
    let names = users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>().join(", ");
    users.into_iter().find(|user| user.name == name).ok_or_else(|| {
        Failure::new(format!("there is no user '{name}'"), format!("there are: {names}"))
            .ending(Exit::Nothing)
    })
}

fn exposed(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}
