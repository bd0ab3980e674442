// A search box that reports what was typed when the typing pauses or on Enter.
export default function({parentElement:root,data,setTriggerValue}){
 let S=root._Q;if(!S){S=root._Q={};const box=root.querySelector('.q');box.innerHTML='<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M7 2.8a4.2 4.2 0 1 1 0 8.4a4.2 4.2 0 0 1 0-8.4M10.2 10.2l3 3"/></svg><input type="search" autocomplete="off" spellcheck="false">';
  const i=S.i=box.querySelector('input');const send=()=>{clearTimeout(S.t);const v=i.value.trim();if(v!==S.sent){S.sent=v;S.set('text',{v,n:Date.now()})}};
  i.oninput=()=>{clearTimeout(S.t);S.t=setTimeout(send,i.value?350:0)};i.onkeydown=e=>{if(e.key==='Enter')send();if(e.key==='Escape'&&i.value){i.value='';send();e.preventDefault()}e.stopPropagation()};
  S.slash=e=>{if(e.key==='/'&&!e.ctrlKey&&!e.metaKey&&!e.altKey&&e.composedPath()[0]===document.body){e.preventDefault();i.focus()}};document.addEventListener('keydown',S.slash)}
 S.set=setTriggerValue;S.i.placeholder=data.label;S.i.setAttribute('aria-label',data.label);
 if(S.sent==null||document.activeElement!==root.host){S.i.value=data.value;S.sent=data.value}
 return ()=>{clearTimeout(S.t);document.removeEventListener('keydown',S.slash);root._Q=null}
}
